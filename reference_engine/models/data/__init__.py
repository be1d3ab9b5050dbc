"""Published data that the package ships; see NOTICE."""

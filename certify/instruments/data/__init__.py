"""What others have collected, as data: see NOTICE for where each file comes from."""

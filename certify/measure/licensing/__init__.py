"""Checks of a candidate's licences, LoRAs and dependencies: its manifest compared with its files.

Each check takes a candidate and returns findings. Band A is certain and rejects, band B needs a person's
review, band C is a note. The suite `licensing` and `certify licences` use the same checks."""

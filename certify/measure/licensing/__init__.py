"""What a candidate's licences, LoRAs and dependencies come to: its manifest held against its files.

Each check takes a candidate and gives findings: band A is certain and rejects, B is for a person to look at,
C is told. The suite `licensing` and `certify licences` use the same.
"""

"""Running untrusted code: the trusted host, the walls of the jail, and the guest beside the candidate."""

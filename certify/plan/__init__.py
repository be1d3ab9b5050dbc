"""The requirements, which of them apply here, and the profiles and policies that they depend on."""

"""What tests share: real services, waiting, peers. Never packaged."""

"""Docker behind the application's engine port, driven through python-on-whales."""

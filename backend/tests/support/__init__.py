"""What the tests share: servers, scripts, checkers and the gates of `make cover`."""

"""Pages of one file, which open without a server and load nothing."""

"""The `steadybid` command. Heavy libraries load only in the command that uses them."""

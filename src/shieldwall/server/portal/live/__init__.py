"""Pages that follow what changes: a stream says that something did, and the page looks again."""

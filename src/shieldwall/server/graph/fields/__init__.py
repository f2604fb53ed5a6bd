"""What each kind of resource may be filtered, ordered and searched by, and selected: the fields beside the shapes."""

"""What people and programs read: the only room besides cli that formats for a medium."""

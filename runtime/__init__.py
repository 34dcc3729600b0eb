"""What an automation means and how it runs. No web framework, no database driver."""

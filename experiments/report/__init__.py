"""What people read of a measured run: tables for the terminal, pages for the browser."""

"""The page that people look at: one HTML file made of what runs left in their folders."""

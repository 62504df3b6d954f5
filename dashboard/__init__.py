"""Pages that show a workspace in a browser on this machine: `dashboard.launch.serve` starts them, `app` draws them."""

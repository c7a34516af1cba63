"""What serving costs, held against what nobody can do without: reading the topic and running the network."""

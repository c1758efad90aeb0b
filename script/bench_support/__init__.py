"""What `script/bench` is made of: the scene, the load, the floors and the report."""

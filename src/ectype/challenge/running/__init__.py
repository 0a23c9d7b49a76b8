"""Running an entry: its command on folders of images, cut off from the network and held to limits."""

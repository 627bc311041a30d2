"""The persistent volume with build contexts and build logs."""

"""The commands of `truelight-export`, one file each."""

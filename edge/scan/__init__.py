"""The job: a clip goes in, a finding comes out."""

module leasehold.io/tests/testbed/tools/pause

go 1.26.0

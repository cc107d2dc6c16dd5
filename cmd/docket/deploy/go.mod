module github.com/seed-53cf897a/docket/cmd/docket/deploy

go 1.26.0

replace github.com/seed-53cf897a/docket => ../../..

require github.com/seed-53cf897a/docket v0.0.0

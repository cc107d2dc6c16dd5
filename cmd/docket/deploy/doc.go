// Package deploy holds what an operator installs beside the binary, and the tests of it:
//
//	build        builds the binary, the same bytes in every folder
//	package      makes a Debian package of it, with nfpm.yaml
//	systemd/     a unit for a ledger, one for each witness, and their user
//	Dockerfile   an image of the binary alone
//	monitoring/  alerts for Prometheus, their tests for promtool, a dashboard for Grafana
//	spdx/        a command that writes what is linked into a binary, with licences
//
// It is a module of its own, so that what only tests and packaging need is not among the
// modules of Docket. The files are checked here against what Docket exports and says.
package deploy

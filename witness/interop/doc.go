// Package interop holds tests against witnesses and logs that are not ours, over
// HTTP. It is a module of its own so that their many requirements do not become
// Docket's:
//
//	cd witness/interop && go test ./...
package interop

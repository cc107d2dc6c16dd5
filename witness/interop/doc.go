// Package interop holds tests against witnesses, logs and readers that are not
// ours, over HTTP on this machine. It is a module of its own so that their many
// requirements do not become Docket's:
//
//	cd witness/interop && go test ./...
//
// Whose code stands on the other side, in the versions of go.mod:
//
//   - github.com/transparency-dev/tessera: a log that publishes only what our
//     witnesses cosigned; a client that follows our ledger, builds proofs from its
//     tiles and checks all of them (fsck); a policy parser.
//   - github.com/transparency-dev/witness: its handler with SQLite, and omniwitness
//     whole, which reads our logs/v0 list; both cosign our ledger, as the package and
//     as `docket serve`.
//   - filippo.io/torchwood: litewitness, a process that the test starts, under a ledger
//     whose log keys rotate; omniwitness beside it, with its database.
//   - github.com/transparency-dev/formats, golang.org/x/mod/sumdb: a log made of
//     nothing else, and a verifier of our receipts and cosignatures.
//
// What they answer that the text does not allow is logged and fails nothing:
//
//	go test -v -run SideBySide
package interop

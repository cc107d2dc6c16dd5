// Package stores holds tests of ledgers that outlive a machine: real servers, witnesses, object
// stores and databases, as processes on this machine, of which one after the other is killed
// or frozen under load. It is a module of its own so that the object store's many
// requirements do not become Docket's:
//
//	cd cmd/docket/internal/e2e/stores && go test ./...
//
// Whose code stands on the other side, in the versions of go.mod:
//
//   - github.com/versity/versitygw: the object store, two gateways before one directory. Its
//     conditional writes hold across both, by locks on files.
//   - github.com/transparency-dev/tessera: fsck, a client that reads what any static server
//     hands out of the bucket.
package stores

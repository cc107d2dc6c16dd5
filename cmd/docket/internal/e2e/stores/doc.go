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
//
// Of faults planted in the program the kills find a commit or a checkpoint that is told before the store has
// it, a commit that does not wait for the standby, a zombie that publishes in a database, a record taken
// twice after a fail-over, a witness and a replica that forget. They do not find what needs a request that
// arrives late, or somebody who lies: a write to the bucket without its condition, and a taking that
// minds no other, TestLaws finds; a public checkpoint that goes back objectstore's
// TestCheckpointNeverGoesBack; a database's outcome that is not asked for pgstore's TestFailover and
// TestSynchronousStandby; a replica that follows another history client's TestLiveForkWithinReplay.
package stores

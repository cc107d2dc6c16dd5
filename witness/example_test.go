package witness_test

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// A witness cosigns the first checkpoint of a log, and then only what extends it.
func Example() {
	skey, vkey, _ := proof.GenerateKey(proof.Ed25519, "log.example/7")
	log, _ := proof.ParseSigner(skey)
	logs, err := witness.ParseLogs([]byte("logs/v0\nvkey " + vkey + "\nqpd 86400\ncontact op@log.example\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	skey, _, _ = proof.GenerateKey(proof.MLDSA44, "w1.example")
	key, _ := proof.ParseCosigner(skey)
	cfg := witness.Config{Keys: []witness.Key{key}, FS: vfs.NewMem(), Dir: "w1", Logs: logs}
	if err := witness.CreateState(cfg); err != nil { // once, with the keys
		fmt.Println(err)
		return
	}
	w, err := witness.Open(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()

	root := proof.LeafHash([]byte("the first entry"))
	note, _ := proof.SignCheckpoint(proof.Checkpoint{Origin: "log.example/7", Size: 1, Root: root}, log)
	sigs, err := w.Cosign(context.Background(), wire.AddCheckpoint{Note: note.Note()})
	fmt.Println(len(sigs), "cosignature by", sigs[0].Name, err)

	root = proof.LeafHash([]byte("the first entry, altered"))
	note, _ = proof.SignCheckpoint(proof.Checkpoint{Origin: "log.example/7", Size: 1, Root: root}, log)
	_, err = w.Cosign(context.Background(), wire.AddCheckpoint{Old: 1, Note: note.Note()})
	fmt.Println(err)
	caught, _ := w.Evidence().List()
	fmt.Println("evidence kept:", len(caught))
	// Output:
	// 1 cosignature by w1.example <nil>
	// the checkpoint is not shown to extend the one cosigned before: another tree of 1 entries was
	// evidence kept: 1
}

package register_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// A copy for others carries its rows, and not what Pebble's logs held before: those are used again.
func TestCheckpointCarriesRowsAlone(t *testing.T) {
	files := vfs.NewMem()
	r, err := register.Open(files, "register", registertest.SmallOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := &registertest.Fixture{World: registertest.New(time.Now(), "docket.example/test", "any"), Register: r}
	b.Must(b.Charter())
	b.Must(b.Authority())
	for i := range 4 {
		for k := range 10 {
			id := fmt.Sprint(10*i + k)
			b.Must(b.ImportListed(id, b.NewListedDesignation(id, "Entity "+id)))
		}
		if err := r.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	if cursor, err := r.CursorOf("copy"); err != nil || cursor != r.Cursor() {
		t.Errorf("the copy is of %v, %v, want %v", cursor, err, r.Cursor())
	}
	names, err := files.List("copy")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := files.Stat("copy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".log") && info.Size() > 1024 {
			t.Errorf("%s carries %d bytes that are no rows", name, info.Size())
		}
	}
	copied, err := register.Open(files, "copy", registertest.SmallOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if copied.Cursor() != r.Cursor() {
		t.Errorf("opened again it is of %v, want %v", copied.Cursor(), r.Cursor())
	}
}

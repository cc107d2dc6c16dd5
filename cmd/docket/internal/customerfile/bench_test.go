package customerfile_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customerfile"
)

// BenchmarkAccesses: rows of a table of accesses.
func BenchmarkAccesses(b *testing.B) {
	var text strings.Builder
	text.WriteString("time,account,ip,action\n")
	for i := range b.N {
		fmt.Fprintf(&text, "2027-01-04T09:30:12.250Z,acct-%d,192.0.2.%d,login\n", i%1000, i%250)
	}
	r, err := customerfile.Open(strings.NewReader(text.String()), options())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || row.Faults != nil {
			b.Fatal(err, row.Faulty())
		}
	}
}

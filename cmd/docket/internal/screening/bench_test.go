package screening_test

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkList reads rows of a list, one an iteration.
func BenchmarkList(b *testing.B) {
	var text strings.Builder
	text.WriteString("id,name,country,lei,website\n")
	for i := range b.N {
		fmt.Fprintf(&text, "C-%d,\"Harbour Bakery %d, Ltd\",XB,,https://www.bakery%d.example/\n", i, i, i)
	}
	b.ResetTimer()
	rows, err := readList(text.String(), nil)
	if err != nil || len(rows) != b.N {
		b.Fatal(len(rows), err)
	}
}

package programme

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

//go:embed template.yaml
var template string

// Template is a programme to begin with, in force from a day on, with a line on every member:
// what it demands is common, and nobody's advice. [Parse] reads it as it is.
func Template(name string, from record.Date) string {
	return strings.NewReplacer("NAME", strconv.Quote(name), "FROM", from.String()).Replace(template)
}

package draft

import (
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// The documentation of a kind has every member that its schema has, who signs it, and what
// people write; a kind that lacks any is named.
func TestDocumentOfEveryKind(t *testing.T) {
	for _, kind := range record.Kinds() {
		text, err := Document(string(kind))
		if err != nil {
			t.Fatal(err)
		}
		sp, err := record.SpecOf(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"# " + string(kind) + "\n", sp.Summary, "- Thread: `" + strings.ReplaceAll(sp.Thread, " or ", "` or `") + "`", "\n- Signed by: " + sp.Signers + "\n", "\n## Example\n", "\nkind: " + string(kind)} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: its documentation lacks %q", kind, want)
			}
		}
		if sp.Signers == "" {
			t.Errorf("%s: nothing says who signs it", kind)
		}
		checkDocumented(t, kind, text, sp.Shape, "")
		for _, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(line, "|") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 5 {
				t.Errorf("%s: no row of four cells: %s", kind, line)
			}
			if strings.Contains(line, "|  | |") || strings.HasPrefix(line, "| `") && strings.Contains(line, "|  |  |") {
				t.Errorf("%s: it is not said what this may be: %s", kind, line)
			}
		}
	}
	if _, err := Document("desgination"); err == nil {
		t.Error("a kind that there is none of has documentation")
	}
}

func checkDocumented(t *testing.T, kind record.Kind, text string, sh *schema.Shape, within string) {
	t.Helper()
	for _, f := range sh.Fields {
		required := ""
		if f.Required {
			required = "required"
		}
		if !strings.Contains(text, "| `"+within+f.Name+"` | "+required+" | ") {
			t.Errorf("%s: no row for %s%s, %s", kind, within, f.Name, required)
		}
		if f.Type == schema.TypeList && f.Item.Type == schema.TypeObject {
			checkDocumented(t, kind, text, f.Item, within+f.Name+"[].")
		} else if f.Type == schema.TypeObject && !isCommitted(f.Shape) {
			checkDocumented(t, kind, text, f.Shape, within+f.Name+".")
		}
	}
}

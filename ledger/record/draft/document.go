package draft

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

//go:embed examples/*.yaml
var examples embed.FS

// Document explains a kind of record for people, as Markdown that reads as text too: what
// it says, who signs it, every member, an example. It comes from what the JSON Schema and
// the template come from. Errors are those of [record.ParseKind].
func Document(kind string) (string, error) {
	sp, err := record.SpecOf(record.Kind(kind))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", sp.Kind, sp.Summary)
	example := sp.ExampleThread()
	fmt.Fprintf(&b, "- Thread: `%s`", strings.ReplaceAll(sp.Thread, " or ", "` or `"))
	if string(example) != sp.Thread {
		fmt.Fprintf(&b, ", as `%s`", example)
	}
	fmt.Fprintf(&b, "\n- Issuer: %s\n- Signed by: %s\n- Subject: %s\n- predicateType: `%s`\n", issuerText(sp, example), sp.Signers, subjectText(sp), sp.Kind.PredicateType())
	b.WriteString("\n## Members\n\n")
	writeMembers(&b, sp.Own)
	b.WriteString("\n## Members of every record\n\n")
	writeMembers(&b, &schema.Shape{Type: schema.TypeObject, Fields: sp.Shape.Fields[:len(sp.Shape.Fields)-len(sp.Own.Fields)]})
	for _, text := range examplesOf(sp.Kind) {
		fmt.Fprintf(&b, "\n## Example\n\nParties are fictional.\n\n```yaml\n%s```\n", text)
	}
	return b.String(), nil
}

// examplesOf are the short forms of a kind in the folder examples.
func examplesOf(kind record.Kind) (texts []string) {
	files, err := examples.ReadDir("examples")
	if err != nil {
		panic(err) // they are embedded
	}
	// The one whose name is shorter is the first of its story: customer-log.yaml.
	slices.SortStableFunc(files, func(a, b fs.DirEntry) int { return cmp.Compare(len(a.Name()), len(b.Name())) })
	kindLine := regexp.MustCompile(`(?m)^kind: ` + string(kind) + `(\s|$)`)
	for _, f := range files {
		text, err := examples.ReadFile("examples/" + f.Name())
		if err != nil {
			panic(err)
		}
		if kindLine.Match(text) {
			texts = append(texts, string(text))
		}
	}
	return texts
}

func issuerText(sp *record.Spec, example record.Thread) string {
	if by := sp.UsualIssuer(example); by == record.Authority || example.Party() == "" {
		return "`" + by + "`"
	}
	return "P, the party to which the thread belongs"
}

func subjectText(sp *record.Spec) string {
	switch {
	case sp.PrivateSubject:
		return "a commitment to the document's digest; the document stays private"
	case sp.SealableSubject:
		return "the document's digest; of a sealed record a commitment to it"
	case sp.Subject == record.SubjectFirstKey:
		return "the document's digest if there is one, else that of the first key listed, else the party's enrolment"
	case sp.Subject == record.SubjectEnrolment:
		return "the party's enrolment"
	case sp.Subject == record.SubjectDesignation:
		return "the record of the designation's thread that was seen"
	case sp.Subject == record.SubjectCheckpoint:
		return "the root hash of the checkpoint"
	}
	return "the document's digest"
}

// writeMembers is a table of an object's members, and of theirs.
func writeMembers(b *strings.Builder, sh *schema.Shape) {
	b.WriteString("| member | | what it may be | what it says |\n| --- | --- | --- | --- |\n")
	writeRows(b, sh, "")
}

func writeRows(b *strings.Builder, sh *schema.Shape, within string) {
	for _, f := range sh.Fields {
		required := ""
		if f.Required {
			required = "required"
		}
		says := f.Doc
		if f.Example != "" && !isLongText(f.Shape) {
			says += "; e.g. `" + f.Example + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", within+f.Name, required, tableCell(typeText(f.Shape)), tableCell(says))
		switch inner := f.Shape; {
		case isCommitted(inner):
		case inner.Type == schema.TypeObject:
			writeRows(b, inner, within+f.Name+".")
		case inner.Type == schema.TypeList && inner.Item.Type == schema.TypeObject:
			writeRows(b, inner.Item, within+f.Name+"[].")
		}
	}
}

func tableCell(text string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(text) }

// scalarTexts are the texts for which a Go type stands.
var scalarTexts = map[reflect.Type]string{
	reflect.TypeFor[record.Date]():    "a date like 2027-01-31",
	reflect.TypeFor[record.Instant](): "an instant, RFC 3339 with Z",
	reflect.TypeFor[time.Time]():      "an instant, RFC 3339 with Z",
	reflect.TypeFor[record.Period]():  "a period like P30D or P1Y (ISO 8601)",
	reflect.TypeFor[record.ID]():      "a record ID, 64 hexadecimal digits",
	goPEM:                             "a public key, PKIX PEM",
}

// typeText says what a value of a shape may be.
func typeText(sh *schema.Shape) string {
	switch {
	case sh.GoType == goCommitment:
		return "a commitment: {secret: VALUE} in a short form"
	case sh.GoType == goDigest:
		return "a commitment to a file's digest: {file: FILE} in a short form"
	}
	switch sh.Type {
	case schema.TypeSealable:
		text := *sh
		text.Type = schema.TypeString
		return typeText(&text) + "; sealed a commitment: {secret: VALUE} in a short form"
	case schema.TypeString:
		if sh.Enum != nil {
			return strings.Join(sh.Enum, ", ")
		}
		if sh.Format == schema.FormatText || sh.Format == schema.FormatLines {
			return fmt.Sprintf("%s, at most %d characters", sh.Format.Description(), sh.MaxChars)
		}
		return sh.Format.Description()
	case schema.TypeInteger:
		least, greatest := sh.Integers()
		if greatest == schema.MaxInteger {
			return fmt.Sprintf("a whole number from %d", least)
		}
		return fmt.Sprintf("a whole number from %d to %d", least, greatest)
	case schema.TypeBoolean:
		return "true, false"
	case schema.TypeScalar:
		return scalarTexts[sh.GoType]
	case schema.TypeList:
		if sh.Item.Type == schema.TypeObject {
			return fmt.Sprintf("a list of at most %d objects", sh.MaxItems())
		}
		return fmt.Sprintf("a list of at most %d: %s", sh.MaxItems(), typeText(sh.Item))
	case schema.TypeMap:
		return fmt.Sprintf("at most %d names, each with %s", sh.MaxItems(), typeText(sh.Item))
	case schema.TypeFragment:
		return "members of the designation"
	}
	return "an object"
}

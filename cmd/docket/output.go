package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/plain"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// logf prints one line to stderr, with hidden characters escaped.
func (a *app) logf(format string, args ...any) {
	io.WriteString(a.err, printableLines(fmt.Sprintf(format+"\n", args...)))
}

// printf prints a result to stdout, likewise. What must keep its bytes, as a file does,
// is written to a.out itself.
func (a *app) printf(format string, args ...any) {
	io.WriteString(a.out, printableLines(fmt.Sprintf(format, args...)))
}

// printJSON prints one value as one line of JSON: what a script reads. What a terminal
// should not get stands in it as JSON's own escapes, which are the same text.
func (a *app) printJSON(v any) error { return printJSONTo(a.out, v) }

// printJSONLines prints one object a line.
func printJSONLines[T any](a *app, all []T) error {
	for _, one := range all {
		if err := a.printJSON(one); err != nil {
			return err
		}
	}
	return nil
}

func printJSONTo(w io.Writer, v any) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, printableLines(b.String()))
	return err
}

// plural is a number of things as a sentence says it.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// beAre is a number of things and its verb.
func beAre(n int, one, many string) string {
	if n == 1 {
		return "1 " + one + " is"
	}
	return fmt.Sprintf("%d %s are", n, many)
}

// table is where rows go, lines with tabs between their cells; flush it.
func (a *app) table() *table { return &table{w: a.out} }

// table aligns the columns of the rows that it has, by what a terminal shows of them: a
// character of East Asia takes two places, a mark on another one none. It holds rows until
// it is flushed, and may be flushed more than once.
type table struct {
	w     io.Writer
	width int // of the terminal, to which rows are cut; 0: they are not
	rows  [][]string
	rest  string // of a line that is not whole yet
}

// minColumn is the width below which no column is cut.
const minColumn = 12

func (t *table) Write(p []byte) (int, error) {
	t.rest += string(p)
	for {
		line, rest, whole := strings.Cut(t.rest, "\n")
		if !whole {
			return len(p), nil
		}
		t.rows, t.rest = append(t.rows, strings.Split(line, "\t")), rest
	}
}

// Flush prints the rows, without the spaces that would end a line.
func (t *table) Flush() error {
	var b strings.Builder
	widths := t.columns()
	for _, row := range t.rows {
		line := ""
		for i, cell := range row {
			cell = cutToWidth(cell, widths[i])
			line += cell
			if i < len(row)-1 {
				line += strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell)+2)
			}
		}
		if line = strings.TrimRight(line, " "); t.width > 0 {
			line = cutToWidth(line, t.width)
		}
		b.WriteString(line + "\n")
	}
	t.rows = nil
	_, err := io.WriteString(t.w, b.String())
	return err
}

// columns are the widths of the columns: that of the widest cell, or less where all would not
// fit; then the widest give most.
func (t *table) columns() (widths []int) {
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	if t.width == 0 || len(widths) == 0 {
		return widths
	}
	over := 2 * (len(widths) - 1)
	for _, w := range widths {
		over += w
	}
	for over -= t.width; over > 0; over-- {
		widest := slices.Index(widths, slices.Max(widths))
		if widths[widest] <= minColumn {
			break
		}
		widths[widest]--
	}
	return widths
}

// cutToWidth cuts text to a width on a terminal, with … where something is missing.
func cutToWidth(text string, width int) string {
	if uniseg.StringWidth(text) <= width {
		return text
	}
	used, kept, rest, state := 1, 0, text, -1
	for rest != "" {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used += w; used > width {
			break
		}
		kept += len(cluster)
	}
	return text[:kept] + "…"
}

// terminalWidth is the width of the terminal that stdout is; 0 if it is none.
func (a *app) terminalWidth() int {
	out := a.out
	if o, ok := out.(*output); ok {
		out = o.to
	}
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// progress draws a bar on a terminal and is silent in a pipe. A total below
// zero is unknown.
func (a *app) progress(what string, total int64) *progressbar.ProgressBar {
	w := a.err
	if !a.tty {
		w = io.Discard
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetVisibility(a.tty),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(),
	)
}

// progressOfSteps draws one bar after another, each of what is being done, until finish is called.
func (a *app) progressOfSteps() (reach func(doing string, reached, size uint64), finish func()) {
	var bar *progressbar.ProgressBar
	var drawn string
	reach = func(doing string, reached, size uint64) {
		if doing != drawn {
			bar, drawn = a.progress(doing, int64(size)), doing
		}
		bar.Set64(int64(reached))
	}
	return reach, func() {
		if bar != nil {
			bar.Finish()
		}
	}
}

// printable makes untrusted text fit for a terminal ([plain.Text]).
func printable(s string) string { return plain.Text(s) }

// printableLines is printable for whole lines, which keep their ends and tabs.
func printableLines(s string) string { return plain.Lines(s) }

// joinWords writes names as a sentence lists them, with "and" or "or" before the last.
func joinWords(names []string, last string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " " + last + " " + names[n-1]
	}
	return strings.Join(names, "")
}

// errInterrupted is the answer of whoever interrupts a prompt, or what came before it.
var errInterrupted error = refusal("interrupted at a prompt: nothing was signed or written")

// confirm asks a yes-or-no question. Without a terminal, or at the end of the
// input, the answer is no: nothing is signed by accident.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	if !a.tty {
		return false, usageError("%s needs an answer, and there is no terminal to ask on", question).hint("pass --yes after reading what it shows")
	}
	question += " [y/N] "
	var line string
	var err error
	if keys := a.terminalPrompt(); keys != nil {
		line, err = keys.read(ctx, func(t *term.Terminal) (string, error) {
			t.SetPrompt(question)
			return t.ReadLine()
		})
	} else {
		fmt.Fprint(a.err, question)
		line, err = bufio.NewReader(a.in).ReadString('\n')
	}
	if err != nil && err != io.EOF {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// askPassword reads one line without echo; nil where there is no terminal.
func (a *app) askPassword(ctx context.Context, question string) ([]byte, error) {
	keys := a.terminalPrompt()
	if keys == nil {
		return nil, nil
	}
	p, err := keys.read(ctx, func(t *term.Terminal) (string, error) { return t.ReadPassword(question) })
	if err != nil {
		return nil, err
	}
	return []byte(p), nil
}

// terminalPrompt is the terminal that people type on; nil where there is none.
func (a *app) terminalPrompt() *terminalPrompt {
	in, ok := a.in.(*os.File)
	if !ok || !a.tty || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	if a.prompt == nil {
		a.prompt = &terminalPrompt{in: in, out: a.err}
		a.prompt.terminal = term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{in, a.err}, "")
	}
	return a.prompt
}

// terminalPrompt reads the terminal in raw mode, so that an interrupt counts before
// what is typed after it; as a signal it may arrive after the next line.
type terminalPrompt struct {
	in       *os.File
	out      io.Writer
	terminal *term.Terminal // keeps what was typed ahead, for the next question
}

// read asks one question. Ctrl-C, Ctrl-D on an empty line and a signal that ends ctx are
// errInterrupted, at once.
func (k *terminalPrompt) read(ctx context.Context, question func(*term.Terminal) (string, error)) (string, error) {
	if ctx.Err() != nil {
		return "", errInterrupted
	}
	before, err := term.MakeRaw(int(k.in.Fd()))
	if err != nil {
		return "", fmt.Errorf("asking on the terminal: %w", err)
	}
	defer term.Restore(int(k.in.Fd()), before)
	if width, height, err := term.GetSize(int(k.in.Fd())); err == nil && width > 0 {
		k.terminal.SetSize(width, height)
	}
	type answer struct {
		line string
		err  error
	}
	// A read of a terminal cannot be called off: after a signal it ends with the process.
	answers := make(chan answer, 1)
	go func() {
		line, err := question(k.terminal)
		answers <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", k.breakOff()
	case a := <-answers:
		switch {
		case errors.Is(a.err, io.EOF), a.err == nil && ctx.Err() != nil:
			return "", k.breakOff()
		case a.err != nil:
			return "", fmt.Errorf("reading the answer: %w", a.err)
		}
		return a.line, nil
	}
}

// breakOff ends the line of a question without an answer. It goes past the terminal, whose
// Write shows again what was typed so far, the letters of a password too.
func (k *terminalPrompt) breakOff() error {
	fmt.Fprint(k.out, "\r\n")
	return errInterrupted
}

// headMembers are the members of a predicate that a head line shows already.
var headMembers = map[string]bool{"ledger": true, "thread": true, "issuer": true, "issuedAt": true, "follows": true, "document": true}

// showStatement writes a statement for people to read before they sign it: every
// field that it has, and nothing that it has not.
func showStatement(w io.Writer, id record.ID, st *record.Statement) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(w, "%s on %s\n", st.Kind, printable(string(st.Thread)))
	line("issuer", "%s", st.Issuer)
	line("issued at", "%s", record.Instant{Time: st.IssuedAt})
	if !st.Ledger.IsZero() {
		line("ledger", "%s", st.Ledger)
	}
	line("record ID", "%s", id)
	if st.Follows.IsZero() {
		line("follows", "nothing: it opens the thread")
	} else {
		line("follows", "%s", st.Follows)
	}
	line("about", "%s", subjectText(st))
	if d := st.Document; d != nil && len(d.URL) > 0 {
		line("published at", "%s", strings.Join(d.URL, ", "))
	}
	fmt.Fprintf(w, "  says\n")
	for _, m := range st.Object() {
		if !headMembers[m.Name] {
			showMember(w, "    ", m)
		}
	}
}

// subjectText says what the subject's digest is of.
func subjectText(st *record.Statement) string {
	if st.CommitsToDocument() {
		return "a document, " + committedText(hex.EncodeToString(st.Subject.SHA256[:]))
	}
	name := st.Subject.Name
	if d := st.Document; d != nil && d.Name != "" {
		name = d.Name
	}
	if name == "" {
		return fmt.Sprintf("SHA-256 %x", st.Subject.SHA256)
	}
	return fmt.Sprintf("%s, SHA-256 %x", name, st.Subject.SHA256)
}

// showMember writes one member of an object, as YAML would.
func showMember(w io.Writer, indent string, m schema.Member) {
	switch v := m.Value.(type) {
	case schema.Object:
		if text, ok := commitmentText(v); ok {
			fmt.Fprintf(w, "%s%s: %s\n", indent, printable(m.Name), text)
			return
		}
		fmt.Fprintf(w, "%s%s:\n", indent, printable(m.Name))
		for _, inner := range v {
			showMember(w, indent+"  ", inner)
		}
	case []any:
		if isScalarList(v) {
			fmt.Fprintf(w, "%s%s: %s\n", indent, printable(m.Name), flowText(v))
			return
		}
		fmt.Fprintf(w, "%s%s:\n", indent, printable(m.Name))
		for _, item := range v {
			showItem(w, indent+"  ", item)
		}
	case string:
		showText(w, indent, m.Name, v)
	default:
		fmt.Fprintf(w, "%s%s: %v\n", indent, printable(m.Name), v)
	}
}

// showItem writes one item of a list: an object on one line where it fits.
func showItem(w io.Writer, indent string, item any) {
	if text := flowText(item); len(text) <= 100 {
		fmt.Fprintf(w, "%s- %s\n", indent, text)
		return
	}
	o, ok := item.(schema.Object)
	if !ok {
		fmt.Fprintf(w, "%s- %s\n", indent, flowText(item))
		return
	}
	fmt.Fprintf(w, "%s-\n", indent)
	for _, m := range o {
		showMember(w, indent+"  ", m)
	}
}

// showText writes a string, a long one on lines of its own.
func showText(w io.Writer, indent, name, text string) {
	if key, err := record.PEM(text).Key(); err == nil {
		fmt.Fprintf(w, "%s%s: %s\n", indent, printable(name), key.ID())
		return
	}
	if !strings.Contains(text, "\n") {
		fmt.Fprintf(w, "%s%s: %s\n", indent, printable(name), shortened(printable(text)))
		return
	}
	fmt.Fprintf(w, "%s%s:\n", indent, printable(name))
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fmt.Fprintf(w, "%s  %s\n", indent, shortened(printable(l)))
	}
}

// shortened cuts words above 200 characters: a policy's ML-DSA keys, or a hybrid recipient,
// take more than a screen each; --json has them whole.
func shortened(line string) string {
	words := strings.Split(line, " ")
	for i, word := range words {
		if letters := []rune(word); len(letters) > 200 {
			words[i] = fmt.Sprintf("%s…%s", string(letters[:64]), string(letters[len(letters)-8:]))
		}
	}
	return strings.Join(words, " ")
}

// commitmentText writes what is a commitment, and nothing else, on one line. The digest of a
// screening report is one too: no file has it for its SHA-256.
func commitmentText(o schema.Object) (string, bool) {
	if len(o) != 1 || o[0].Name != "commit" && o[0].Name != "sha256" {
		return "", false
	}
	v, _ := o[0].Value.(string)
	return committedText(v), true
}

// committedText is what people read in place of a commitment.
func committedText(hash string) string { return "committed, not public (" + hash + ")" }

// isScalarList tells whether a list is of scalars.
func isScalarList(list []any) bool {
	for _, item := range list {
		switch item.(type) {
		case schema.Object, []any:
			return false
		}
	}
	return true
}

// flowText writes a value on one line, as YAML's flow style does; a key by its ID.
func flowText(v any) string {
	switch v := v.(type) {
	case schema.Object:
		parts := make([]string, len(v))
		for i, m := range v {
			parts[i] = printable(m.Name) + ": " + flowText(m.Value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = flowText(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		if key, err := record.PEM(v).Key(); err == nil {
			return key.ID()
		}
		return printable(v)
	}
	return fmt.Sprint(v)
}

// output is standard output, which may be a file on a full disk or a closed pipe. The
// first error is kept and looked at once, at the end.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.to.Write(p)
	o.err = err
	return n, err
}

// whole is how a verb ended, its output considered. A closed pipe, as when a pager is
// left, is no failure.
func (o *output) whole(err error) error {
	switch {
	case err != nil && (o.err == nil || !errors.Is(err, o.err)):
		return err
	case o.err == nil, errors.Is(o.err, syscall.EPIPE):
		return nil
	}
	return refusal("writing the result to standard output: %w", bare(o.err)).hint("what was printed is not whole: make room where it goes, or send it elsewhere")
}

// bare is an error of a file without the name that Go has for it.
func bare(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}

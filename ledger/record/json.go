package record

// Object is a JSON object as it was scanned, members in their order.
type Object []Member

// Member is one name and its value: string, int64, bool, []any or Object.
type Member struct {
	Name  string
	Value any
}

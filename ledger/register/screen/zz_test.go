package screen
import ("testing";"fmt")
func TestD(t *testing.T){ fmt.Println("D", TablesDigest()) }

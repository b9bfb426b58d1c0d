package verify

import (
	"context"
	"fmt"
	"strings"

	"trustcore/internal/budget"
	"trustcore/verify/active"
)

// ActiveContent is what a document does besides being read. It is no part of the verdict: a valid signature may be about
// a file with a macro in it.
type ActiveContent struct {
	active.Findings
	Sentence map[string]string `json:"sentence"` // for people, by language
}

// toldItems is how many findings the sentence names.
const toldItems = 5

// activeContent looks through the document with a budget of its own, so that the verdict has all of its.
func activeContent(ctx context.Context, r Request) *ActiveContent {
	b := budget.New(ctx, len(r.Document))
	b.LetGo(r.LetGo)
	c := &ActiveContent{Findings: active.Find(b, r.Document), Sentence: map[string]string{}}
	for _, v := range voices() {
		c.Sentence[v.language] = v.activeContent(c.Findings)
	}
	return c
}

func (v voice) activeContent(f active.Findings) string {
	said := v.say("active.none")
	if len(f.Items) > 0 {
		var list []string
		for _, i := range f.Items[:min(len(f.Items), toldItems)] {
			list = append(list, v.item(i))
		}
		if more := len(f.Items) - toldItems; more > 0 {
			list = append(list, v.say("active.more", "Count", fmt.Sprint(more)))
		}
		said = v.say("active.some", "List", strings.Join(list, "; "))
	}
	if !f.Complete {
		said += " " + v.say("active.incomplete")
	}
	return said
}

// item is one finding with what it is called, where it is and whether it waits for anybody.
func (v voice) item(i active.Item) string {
	said := v.say("active." + string(i.Kind))
	if i.Name != "" {
		said += " " + v.quote(i.Name)
	}
	if i.In != "" {
		said += " " + v.say("active.in", "File", v.quote(i.In))
	}
	if i.Page > 0 {
		said += " " + v.say("active.page", "Page", fmt.Sprint(i.Page))
	}
	if i.Automatic {
		said += " " + v.say("active.automatic")
	}
	return said
}

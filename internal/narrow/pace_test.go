package narrow

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/shape"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

func paced(limit time.Duration) *Narrower {
	j := Job{Time: limit, After: 16000}
	j.Repair.Tokens = repair.DefaultTokens
	j.Repair.Files = []string{"mine.txt"} // the model writes nothing
	return &Narrower{
		Job: j, sink: &progresstest.Listener{}, journal: (*journal.Journal[search.Measurement])(nil), mixed: true,
		pace:      pace{began: time.Now(), position: 0.004, cubes: 1e11},
		positions: func(tokens int) int { return tokens },
	}
}

// More time buys shapes first and then text; what is planned is what it costs; too little time is refused, with what would do.
func TestSchedule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit    time.Duration
		shapes   shapesTried
		min, max int
	}{
		{0, allShapes, repair.DefaultTokens, repair.DefaultTokens},
		{10 * time.Hour, allShapes, mostTokens, mostTokens},
		{24 * time.Minute, allShapes, 40000, 120000},
		{14 * time.Minute, oneShape, 40000, 100000},
		{8 * time.Minute, oneShape, leastTokens, 40000},
	} {
		n := paced(c.limit)
		if err := n.schedule(); err != nil {
			t.Fatalf("%v: %v", c.limit, err)
		}
		if n.effort.Shapes != c.shapes || n.effort.Tokens < c.min || n.effort.Tokens > c.max || n.Repair.Tokens != n.effort.Tokens {
			t.Errorf("%v: %+v", c.limit, n.effort)
		}
		if cost := n.cost(n.effort); c.limit > 0 && cost > c.limit.Seconds() {
			t.Errorf("%v: takes %v s", c.limit, cost)
		}
	}
	err := paced(time.Minute).schedule()
	if err == nil || !strings.Contains(err.Error(), "--time 1m0s is too short for this model: give about 4 minutes at least, or ") {
		t.Errorf("one minute: %v", err)
	}
	n := paced(time.Hour)
	n.Repair.TokensGiven = true
	if err := n.schedule(); err != nil || n.effort.Tokens != repair.DefaultTokens {
		t.Errorf("the user's tokens: %+v, %v", n.effort, err)
	}
}

// The texts that come with the program are of many kinds, and each must have a few sequences: less than that is not planned.
func TestScheduleOfKinds(t *testing.T) {
	t.Parallel()
	kinds := func(limit time.Duration) *Narrower {
		n := paced(limit)
		n.Repair.Files, n.length = nil, 512
		var err error
		if n.positions, err = n.request(shape.Shape{}).Positions(n.length); err != nil {
			t.Fatal(err)
		}
		return n
	}
	err := kinds(5 * time.Minute).schedule()
	if err == nil || !strings.Contains(err.Error(), "too short for this model: give about 7 minutes at least, or ") {
		t.Errorf("%v", err)
	}
	n := kinds(8 * time.Minute)
	if err := n.schedule(); err != nil || n.cost(n.effort) > n.Time.Seconds() {
		t.Errorf("%+v takes %v s, %v", n.effort, n.cost(n.effort), err)
	}
	if least := n.positions(0); least != 10*4*n.length {
		t.Errorf("%d positions at least", least)
	}
}

// When trials have shown what a fit takes, the last one gets the text that the rest of the time allows.
func TestTimeLast(t *testing.T) {
	t.Parallel()
	n := paced(20 * time.Minute)
	n.pace.began = time.Now().Add(-10 * time.Minute)
	n.pace.trial, n.pace.solved = 100, 20
	if err := n.timeLast(); err != nil {
		t.Fatal(err)
	}
	// 600 s less 64 for what comes after and 60 of solves, at 80 s for a trial's positions.
	want := (600. - 64 - solveAgain*20) / 80 * repair.TrialPositions
	if got := float64(n.Repair.Tokens); math.Abs(got-want) > stepTokens {
		t.Errorf("%v tokens, want about %v", got, want)
	}
	n.Time = time.Minute // long over
	if err := n.timeLast(); err != nil || n.Repair.Tokens != leastTokens {
		t.Errorf("%v tokens without time, %v", n.Repair.Tokens, err)
	}
}

// A shape that answers clearly better is taken, even if it loses more; a little better is chance.
func TestPick(t *testing.T) {
	t.Parallel()
	try := func(loss float64, right int) trial {
		a := make([]bool, 100)
		for i := range right {
			a[i] = true
		}
		return trial{Shape: plan.Shape{Loss: loss}, Answers: tasks.Rights{a}}
	}
	loss := func(s plan.Shape) float64 { return s.Loss }
	narrowest := func(i int) int { return 100 * (3 - i) } // the first is the evenest
	for _, c := range []struct {
		trials []trial
		want   int
	}{
		{[]trial{{Shape: plan.Shape{Loss: 1.01}}, {Shape: plan.Shape{Loss: 1}}}, 0}, // by chance
		{[]trial{{Shape: plan.Shape{Loss: 1}}, {Shape: plan.Shape{Loss: 0.99}}, {Shape: plan.Shape{Loss: 0.975}}}, 1},
		{[]trial{{Shape: plan.Shape{Loss: 2}}, {Shape: plan.Shape{Loss: 1}}}, 1},
		{[]trial{try(1, 50), try(2, 53)}, 0},
		{[]trial{try(1, 50), try(2, 60)}, 1},
		{[]trial{try(1, 50), try(3, 60), try(2, 58)}, 2},
	} {
		if got := pick(c.trials, []int{0, 1, 2}[:len(c.trials)], loss, narrowest); got != c.want {
			t.Errorf("%d of %v", got, c.trials)
		}
	}
}

package report
import ("testing";"os";"github.com/ggufprune/ggufprune/search")
func TestTry(t *testing.T){
 for _,n:=range []string{"greedy","fast","kld","layer","refine"} {
  p,err:=search.ReadPlan("/tmp/x/"+n+".json"); if err!=nil{t.Fatal(err)}
  b,err:=HTML(Input{Plan:p,PlanPath:"plan.json"}); if err!=nil{t.Fatal(err)}
  os.WriteFile("/tmp/x/"+n+".html",b,0o644)
 }
}

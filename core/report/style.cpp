#include "core/report/style.hpp"

namespace tare::report {

// Colours: Okabe and Ito, "Color Universal Design" (2008), which stay apart for every common kind of colour blindness;
// its yellow is replaced by a grey, since yellow is lost on white.
const char kStyle[] = R"(
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d9dee3;--soft:#f4f6f8;
--c0:#0072b2;--c1:#e69f00;--c2:#009e73;--c3:#cc79a7;--c4:#56b4e9;--c5:#d55e00;--c6:#7f7f7f;--c7:#332288}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e4e8ec;--dim:#9aa5b1;--line:#363d45;--soft:#1d2228;
--c0:#3d9bd9;--c7:#9f8fe8}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1000px;margin:0 auto;padding:2.2rem 1.2rem 4rem}
h1{font-size:1.75rem;line-height:1.25;margin:0}h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
.sub{color:var(--dim);margin:.3rem 0 0}p{max-width:75ch}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:.6rem;margin:1.2rem 0}
dl div{background:var(--soft);border-radius:8px;padding:.55rem .8rem}dt{color:var(--dim);font-size:.82rem}
dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
pre{background:var(--soft);border-radius:8px;padding:.8rem 1rem;overflow-x:auto;font-size:.88rem}
figure{margin:1.2rem 0}figcaption{font-weight:600;margin:0 0 .3rem}figure p{color:var(--dim);font-size:.9rem;margin:.2rem 0 0}
svg{width:100%;height:auto;display:block;font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.wrap{overflow-x:auto;max-height:75vh;overflow-y:auto;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{position:sticky;top:0;background:var(--soft);text-align:left;font-weight:600;white-space:nowrap;padding:0}
th button{all:unset;display:block;width:100%;padding:.45rem .7rem;cursor:pointer;box-sizing:border-box}
th button:focus-visible{outline:2px solid var(--c0);outline-offset:-2px}
th[aria-sort=ascending] button::after{content:" \25B2";font-size:.7em}th[aria-sort=descending] button::after{content:" \25BC";font-size:.7em}
td{padding:.32rem .7rem;border-top:1px solid var(--line)}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th small{color:var(--dim);font-weight:400}
.grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--dim);stroke-width:1}.whisker{stroke:var(--fg);stroke-width:1.2}
.tick{fill:var(--dim)}.label{fill:var(--fg)}.end{text-anchor:end}.mid{text-anchor:middle}
.curve{fill:none;stroke-width:2;stroke-linejoin:round}.level{stroke:var(--dim);stroke-width:1.4;stroke-dasharray:6 4}
.dot{stroke:var(--bg);stroke-width:1}
.f.c0,.dot.c0{fill:var(--c0)}.f.c1,.dot.c1{fill:var(--c1)}.f.c2,.dot.c2{fill:var(--c2)}.f.c3,.dot.c3{fill:var(--c3)}
.f.c4,.dot.c4{fill:var(--c4)}.f.c5,.dot.c5{fill:var(--c5)}.f.c6,.dot.c6{fill:var(--c6)}.f.c7,.dot.c7{fill:var(--c7)}
.curve.c0{stroke:var(--c0)}.curve.c1{stroke:var(--c1)}.curve.c2{stroke:var(--c2)}.curve.c3{stroke:var(--c3)}
.curve.c4{stroke:var(--c4)}.curve.c5{stroke:var(--c5)}.curve.c6{stroke:var(--c6)}.curve.c7{stroke:var(--c7)}
@media print{main{max-width:none}.wrap{max-height:none;overflow:visible}}
)";

// Sorts by data-v where there is one (numbers; empty ones last), else by text with numbers inside compared as numbers.
const char kScript[] = R"(
for(const table of document.querySelectorAll("table"))table.tHead.querySelectorAll("button").forEach((button,column)=>{
button.addEventListener("click",()=>{const head=button.parentNode,down=head.getAttribute("aria-sort")==="ascending";
for(const other of table.tHead.querySelectorAll("th"))other.removeAttribute("aria-sort");
head.setAttribute("aria-sort",down?"descending":"ascending");
const body=table.tBodies[0],key=row=>{const cell=row.cells[column];return cell.dataset.v===undefined?cell.textContent:cell.dataset.v===""?null:+cell.dataset.v};
const rows=[...body.rows].map(row=>[key(row),row]).sort(([a],[b])=>{
if(a===null||b===null)return(a===null)-(b===null);
const order=typeof a==="number"&&typeof b==="number"?a-b:String(a).localeCompare(String(b),"en",{numeric:true});return down?-order:order});
body.append(...rows.map(([,row])=>row))})});
)";

}  // namespace tare::report

/** Terms that are listed beside a token: there may be thousands, and the table has them all. */
const MOST_LISTED = 200;

const text = new TokenText(document.querySelector(".shaded"), data.text);
const terms = data.terms.map(([term, weight, literal, position]) => ({ term, weight, literal, position }));
const total = terms.reduce((sum, { weight }) => sum + weight, 0);
const table = document.querySelector("#terms tbody");
const rows = [...table.rows];
const buttons = rows.map((row) => row.querySelector("button"));
const detail = document.getElementById("detail");
const said = document.getElementById("said");
const [markShown, markLiteral] = ["is-shown", "is-literal"].map(marker);

/** Which terms came from each piece, heaviest first. */
const termsOf = text.pieces.map(() => []);
terms.forEach(({ position }, index) => termsOf[text.pieceOf[position]].push(index));

/** Whether the table stands beside the text: then both can follow. */
const isWide = matchMedia("(min-width: 64rem)");

function find(target) {
  if (!(target instanceof Element)) return null;
  if (detail.contains(target)) return undefined;
  const place = text.places.get(target);
  if (place !== undefined) return { key: `piece ${place}`, place, element: target };
  const row = target.closest("tr");
  if (!row || !table.contains(row)) return null;
  return { key: `term ${row.sectionRowIndex}`, term: row.sectionRowIndex, element: buttons[row.sectionRowIndex] };
}

function show(found, isSelected) {
  const shown = !found ? nothing() : found.place !== undefined ? piece(found.place) : term(found.term);
  detail.classList.toggle("is-idle", !found);
  detail.replaceChildren(...shown.content);
  detail.scrollTop = 0;
  markShown(shown.marked);
  markLiteral(shown.literal);
  if (!isSelected) return;
  said.textContent = shown.said;
  if (!found || !isWide.matches) return;
  if (shown.row) reveal(table.closest(".terms"), shown.row);
  if (shown.source) shown.source.scrollIntoView({ block: "nearest" });
}

function nothing() {
  const hint = "Point at a token or a term, or reach it with Tab and move with the arrow keys; Escape lets go.";
  return { content: [element("p", hint, "muted")], marked: [], literal: [], said: "" };
}

function piece(place) {
  const own = termsOf[place];
  const sum = own.reduce((sum, index) => sum + terms[index].weight, 0);
  const share = total > 0 ? ` (${((sum / total) * 100).toFixed(1)} % of all)` : "";
  const summary = own.length === 0 ? "No term came from it." : `${counted(own.length, "term")}, weight ${sum.toFixed(4)}${share}`;
  const names = `token ${text.names(place)}, position ${text.firsts[place]}`;
  const content = [heading(text.title(place), close), element("p", names, "muted"), element("p", summary)];
  if (own.length > 0) content.push(list(own.slice(0, MOST_LISTED)));
  if (own.length > MOST_LISTED) content.push(element("p", `… and ${own.length - MOST_LISTED} more.`, "muted"));
  const heaviest = own.slice(0, 5).map((index) => `${isolated(terms[index].term)} ${terms[index].weight.toFixed(4)}`);
  return {
    content,
    marked: [text.pieces[place], ...own.map((index) => rows[index])],
    literal: [],
    said: [text.title(place), summary, ...heaviest].join(", "),
    row: rows[own[0]],
  };
}

function term(index) {
  const { term, weight, literal, position } = terms[index];
  const source = text.at(position);
  const place = text.pieceOf[position];
  const occurrences = text.occurrences(term);
  const kind = literal ? "literal" : "expansion";
  const from = `from ${text.title(place)} (token ${isolated(text.tokens[position])}, position ${position})`;
  const content = [heading(isolated(term), close), element("p", `${kind}, weight ${weight.toFixed(4)}`), element("p", from)];
  if (literal) content.push(element("p", `The text has it ${counted(occurrences.length, "time")}, underlined.`, "muted"));
  const actions = element("p", "", "actions");
  const go = element("button", "Show in the text");
  go.type = "button";
  go.addEventListener("click", () => {
    select({ key: `piece ${place}`, place, element: source });
    if (!source.hasAttribute("tabindex")) source.tabIndex = -1;
    source.focus();
  });
  actions.append(go);
  content.push(actions);
  return {
    content,
    marked: [source, rows[index]],
    literal: occurrences,
    said: `${isolated(term)}, ${kind}, weight ${weight.toFixed(4)}, ${from}`,
    source,
  };
}

/** A table of terms as on the page. */
function list(indices) {
  const made = element("table");
  for (const index of indices) {
    const { term, weight, literal } = terms[index];
    const row = made.insertRow();
    row.style.setProperty("--part", weight / terms[0].weight);
    row.insertCell().textContent = weight.toFixed(4);
    row.insertCell().textContent = isolated(term);
    row.insertCell().textContent = literal ? "literal" : "expansion";
  }
  return made;
}

rove(table, buttons, false);
const select = follow(find, show);
const close = () => select(null);
show(null, false);

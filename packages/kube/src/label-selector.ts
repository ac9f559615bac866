import { type Parsed, parsed, refused } from "@weft/foundation";

type Labels = Readonly<Record<string, string>>;
type Test = (labels: Labels) => boolean;

const name = "([A-Za-z0-9][-A-Za-z0-9_./]*)";
const setRequirement = new RegExp(`^${name}\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const equalityRequirement = new RegExp(`^${name}\\s*(==|=|!=)\\s*([-A-Za-z0-9_.]*)$`);
const existence = new RegExp(`^(!?)\\s*${name}$`);

/** A label selector in its text form: `app=a,tier!=b,env in (x,y),!canary`. Empty text meets everything. */
export function parseLabelSelector(source: string): Parsed<(labels: Labels) => boolean> {
  if (source.trim() === "") return parsed(() => true);
  const tests: Test[] = [];
  for (const part of splitOutsideParens(source)) {
    const test = testOf(part.trim());
    if (test === undefined) return refused(`unable to parse requirement: ${JSON.stringify(part.trim())}`);
    tests.push(test);
  }
  return parsed((labels) => tests.every((test) => test(labels)));
}

/** What is not there differs from every value, as in Kubernetes. */
function testOf(requirement: string): Test | undefined {
  const set = setRequirement.exec(requirement);
  if (set !== null) {
    const [, key = "", operator, list = ""] = set;
    const values = new Set(list.split(",").map((value) => value.trim()));
    const isIn: Test = (labels) => Object.hasOwn(labels, key) && values.has(labels[key] ?? "");
    return operator === "in" ? isIn : (labels) => !isIn(labels);
  }
  const equality = equalityRequirement.exec(requirement);
  if (equality !== null) {
    const [, key = "", operator, value = ""] = equality;
    const isEqual: Test = (labels) => Object.hasOwn(labels, key) && labels[key] === value;
    return operator === "!=" ? (labels) => !isEqual(labels) : isEqual;
  }
  const exists = existence.exec(requirement);
  if (exists === null) return undefined;
  const [, not, key = ""] = exists;
  return (labels) => Object.hasOwn(labels, key) === (not !== "!");
}

function splitOutsideParens(source: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index < source.length; index += 1) {
    const char = source[index];
    if (char === "(") depth += 1;
    else if (char === ")") depth -= 1;
    else if (char === "," && depth === 0) {
      parts.push(source.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(source.slice(start));
  return parts;
}

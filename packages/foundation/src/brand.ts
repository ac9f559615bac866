declare const brand: unique symbol;

/** A string or number that must not be mixed up with others of its kind, such as `Brand<string, "ClusterName">`. */
export type Brand<T extends string | number, Name extends string> = T & { readonly [brand]: Name };

/**
 * Makes the one function that turns a plain value into its branded form.
 * `check` says what is wrong with the value, or nothing; the maker then throws a TypeError that names the brand and the value.
 */
export function brandMaker<B extends Brand<string | number, string>>(
  name: string,
  check: (value: B extends string ? string : number) => string | undefined,
): (value: B extends string ? string : number) => B {
  return (value) => {
    const wrong = check(value);
    if (wrong !== undefined) throw new TypeError(`${name} ${JSON.stringify(value)}: ${wrong}`);
    return fromChecked<B>(value);
  };
}

function fromChecked<B>(value: string | number): B {
  return value as unknown as B;
}

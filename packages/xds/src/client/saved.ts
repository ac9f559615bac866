/** Accepted resources in the form in which they can be written down and read back by a later process. */
export interface SavedResources {
  readonly types: readonly SavedType[];
}

export interface SavedType {
  readonly typeUrl: string;
  readonly identifier: string;
  readonly version: string;
  readonly resources: readonly SavedResource[];
}

export interface SavedResource {
  readonly name: string;
  readonly version: string;
  /** The resource as the control plane sent it, without the `Any` around it. */
  readonly bytes: Uint8Array;
}

export const nothingSaved: SavedResources = { types: [] };

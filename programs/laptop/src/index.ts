export { type Rendered, type RenderedObject, render } from "./render/render.js";
export type { Screen } from "./supervisor/board.js";
export { type DeploymentLine, lineOf } from "./supervisor/readiness.js";
export { resetLaptop } from "./supervisor/reset.js";
export { type StateFolder, stateFolderOf } from "./supervisor/state-folder.js";
export { lockHolder } from "./supervisor/supervisor-lock.js";
export { type UpOptions, weftUp } from "./supervisor/up.js";

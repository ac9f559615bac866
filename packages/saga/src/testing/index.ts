export { assertReleasedSagas } from "./released-sagas.js";

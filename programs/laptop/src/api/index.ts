export { createLaptopApi, type LaptopApi, type LaptopApiOptions } from "./laptop-api.js";

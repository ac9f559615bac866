export { startTestDatabase, type TestDatabase } from "./test-database.js";
export { startTestPostgres, type TestPostgres } from "./test-postgres.js";

export const GET = ({ redirect }) => redirect("/");
